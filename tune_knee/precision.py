"""The numbers that a network computes in."""

import torch


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where a GPU computes in it, else full precision."""
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=able)
