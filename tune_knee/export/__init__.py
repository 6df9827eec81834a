"""A trained model for other runtimes: ONNX, TorchScript, torch.export."""
