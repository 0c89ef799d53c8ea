"""What can be wrong with a tape."""


class TapeError(Exception):
    """A part of the tape cannot be read; the text names the file, or what is missing."""
