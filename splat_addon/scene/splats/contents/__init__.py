"""What the attributes of splats hold: what each must be, what is wrong with it, and how exactly Blender shows it.

attributes.py    what each must be, reading whatever is there, making it right
findings.py      what is wrong with an object's, in sentences
quantization.py  colors in EEVEE where Blender draws the splats itself, and the outliers that spoil them
"""
