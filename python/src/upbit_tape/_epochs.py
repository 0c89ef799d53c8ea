"""What a backtest needs of receive times: that they do not go back."""

import polars as pl


def one(frames: list[pl.DataFrame]) -> None:
    """Raises `ValueError` where lines are of several epochs, between which the recorder's clock was set back."""
    epochs = sorted({epoch for frame in frames for epoch in frame["epoch"].unique().to_list()})
    if len(epochs) > 1:
        raise ValueError(f"stamps go back in this span, of epochs {epochs}: take a span on one side of the clock step")
