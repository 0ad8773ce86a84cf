"""Zoos as folders that go from one person to another: written, described, verified, and begun from."""
