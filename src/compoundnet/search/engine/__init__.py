"""Trials in shared storage: claimed, run, recorded and taken up again by any number of workers."""

__all__: list[str] = []
