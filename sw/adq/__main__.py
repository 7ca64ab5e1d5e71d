"""``python -m adq``, which ``torchrun`` starts once a process."""

from adq.cli import main

main()
