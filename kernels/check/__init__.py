"""What the machine code of our kernels looks like on seven generations of cards, without one.

`python -m kernels.check` compiles every kernel, reads what the assembler reports and the
instructions that came out, and compares both with the table that is checked in.
"""
