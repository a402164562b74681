"""Samplers and schedules as numbers and names, without torch.

A *sampler* is the algorithm that takes the steps; a *schedule* says how noise levels (sigmas) are spaced over them.
Both carry ComfyUI's and k-diffusion's names. The word *scheduler* means a diffusers object; only `diffusion/` has them.
"""
