"""The formats that artists exchange, one module each, all with the same functions: see `formats.splat_file`."""
