"""The HTTP floor: parse, call one service, answer."""
