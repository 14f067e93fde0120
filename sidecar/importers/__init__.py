"""Converters: files of other programs to write logs. Pure: bytes in, write logs out, no files and no clock."""
