"""The benchmark laboratory: how programs are run, what is measured of them, and the report (README.md)."""
