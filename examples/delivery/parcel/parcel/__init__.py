"""What it costs to send a parcel."""

from .quote import Quote, quote
from .weight import Parcel, billable_weight_g

__all__ = ["Parcel", "Quote", "billable_weight_g", "quote"]
