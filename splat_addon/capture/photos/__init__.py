"""What is known of photo files without decoding them, and taking lens distortion out."""
