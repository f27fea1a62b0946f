"""What judges the other backends: equations, textbook, plain PyTorch. Not shipped."""
