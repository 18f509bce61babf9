"""From plans to CUDA: source text, the launches that run it, and the devices that do."""
