"""Executors: how tiles get onto devices, one file each. A tile's result does not depend on which of them ran it."""
