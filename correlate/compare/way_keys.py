"""What tells two ways apart beside their route: to what their packets were translated."""

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import hashed
from ..hops.rewrites import Field
from ..result.correlation import Correlation


def translated_to(part: Correlation) -> npt.NDArray[np.uint64]:
    """One number per path, equal where the same ends were rewritten to the same addresses; ports count only where they
    are those of a service, not of one connection."""
    found = np.zeros(part.packets.count, np.uint64)
    rewrites = part.rewrites
    if rewrites.size == 0:
        return found
    rows = part.sightings.take(part.hops["sighting"][rewrites["after"]])
    is_source = rewrites["field"] == Field.SOURCE
    high, low, port = (
        np.where(is_source, rows[f"source_{half}"], rows[f"destination_{half}"]) for half in ("high", "low", "port")
    )
    of_service = is_source != part.forward_of_path[rewrites["packet"]]
    np.bitwise_xor.at(found, rewrites["packet"], hashed(high, low, np.where(of_service, port, 0), rewrites["field"]))
    return found
