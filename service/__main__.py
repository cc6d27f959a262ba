"""`python -m service`: the same as `report-builder`."""

from service.cli import main

main()
