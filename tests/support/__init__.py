"""What tests share. The only package under tests/: pytest finds it through `pythonpath`, as `support`."""
