"""Running trained models: the model file, the ONNX Runtime session, stylizer and upscaler."""
