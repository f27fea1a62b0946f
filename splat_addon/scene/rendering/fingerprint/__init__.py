"""What a render of a scene shows, as short hashes by part: which differ between two Blenders or two times, and why."""
