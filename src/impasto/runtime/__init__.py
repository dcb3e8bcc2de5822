"""Running trained models: the model file, the ONNX Runtime session, the stylizer."""
