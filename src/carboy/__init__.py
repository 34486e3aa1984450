"""Carboy."""
