"""Near-duplicates: images that show the same picture although their files differ.

Two steps, both on small grey pictures:

1. A *spectral signature*: log amplitudes of the low spatial frequencies (3 to 15 cycles an image) of the
   windowed picture, free of their mean at each radius and standardised over the data. Amplitudes do not
   change when a picture is shifted or turned by 180 degrees, and mirroring or turning by 90 degrees only
   permutes them, so one signature serves all eight orientations. A difference or DCT hash, which is tied to
   positions, ranks re-taken pictures of one lesion behind thousands of unrelated pairs of centred dark
   blobs.
2. *Phase correlation* (Kuglin and Hines 1975) of the candidates, on frequencies from 12 cycles an image
   upwards of the locally contrast-normalised picture: skin texture, hairs and pigment network have to agree
   in place, for some shift. The height of the peak is the similarity, 1 for equal pictures; unrelated
   dermoscopic images stay below 0.15.

Found: copies that were scaled, compressed anew, brightened, white-balanced, shifted, mirrored or turned by
right angles, and most re-takes of one lesion from the same position. Not found: zooms and rotations by a few
degrees or more, which phase correlation does not allow for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

SIMILARITY = 0.16
"""Phase-correlation peak from which a pair counts: on HAM10000 and ISIC-2017 every pair above it that was
looked at shows one lesion (9 and 49 pairs), and most below 0.14 show two."""

CANDIDATE = 0.3
"""Correlation of signatures from which a pair of upright pictures is looked at more closely."""

TURNED_CANDIDATE = 0.5
"""The same for mirrored and turned pictures, which are copies rather than re-takes and so agree more."""

ALL_PAIRS = 48
"""Up to this number of pictures every pair is looked at: too few to standardise signatures over."""

ORIENTATIONS = (
    "upright",
    "turned by 180 degrees",
    "mirrored",
    "flipped",
    "transposed",
    "transverse",
    "turned by 90 degrees",
    "turned by 270 degrees",
)

_SCARCITY = 0.7
"""Power with which the needed similarity grows as frequencies get fewer: measured on HAM10000 scaled to 28,
64 and 128 pixels; independent phases would give 0.5."""
_CERTAIN = 0.95

_LOW, _HIGH = 3, 16
_FINE = 12
_RESOLVED = 0.47
"""Cycles a pixel up to which an image is compared: just below what pixels can hold."""
_BLOCK = 512


@dataclass(frozen=True)
class Pair:
    """Two pictures that show the same.

    Args:
        first: Position of one of them.
        second: Position of the other, larger than `first`.
        similarity: Height of the phase-correlation peak, 0..1.
        orientation: One of `ORIENTATIONS`: how the second was made of the first; turns are anticlockwise.
    """

    first: int
    second: int
    similarity: float
    orientation: str = ORIENTATIONS[0]


def near_duplicates(
    pictures: np.ndarray,
    *,
    sides: np.ndarray | None = None,
    known: Sequence[object] | None = None,
    threshold: float = SIMILARITY,
) -> list[Pair]:
    """Find the pairs of pictures that show the same.

    Args:
        pictures: Square grey pictures, uint8 of shape `(n, size, size)`, size at least 48.
        sides: Shorter side in pixels of the image that each picture was made of, shape `(n,)`; structure
            finer than the coarser image of a pair can hold is not compared. None where all are large.
        known: A value for each picture; pairs with equal values are known to belong together and are passed
            over. None or an empty string is equal to nothing.
        threshold: Smallest similarity that counts; for images below about 100 pixels it rises, because fewer
            frequencies agree by chance more easily.

    Returns:
        The pairs, the most similar ones first.
    """
    count = len(pictures)
    if count < 2:
        return []
    codes = _codes(known, count)
    fine = _Correlator(pictures, sides)
    found: dict[tuple[int, int], Pair] = {}
    for first, second, turned in _candidates(pictures, codes):
        for begin in range(0, len(first), _BLOCK):
            i, j = first[begin : begin + _BLOCK], second[begin : begin + _BLOCK]
            least = fine.least(i, j, threshold)
            for half, similarity in enumerate(fine.peaks(i, j, turned)):
                for k in np.flatnonzero(similarity >= least):
                    pair = Pair(int(i[k]), int(j[k]), float(similarity[k]), ORIENTATIONS[2 * turned + half])
                    best = found.get((pair.first, pair.second))
                    if best is None or best.similarity < pair.similarity:
                        found[pair.first, pair.second] = pair
    return sorted(found.values(), key=lambda pair: (-pair.similarity, pair.first, pair.second))


def identical_groups(digests: Iterable[str]) -> list[list[int]]:
    """Return the positions of equal digests, group by group; empty digests are equal to nothing."""
    groups: dict[str, list[int]] = {}
    for position, digest in enumerate(digests):
        if digest:
            groups.setdefault(str(digest), []).append(position)
    return [group for group in groups.values() if len(group) > 1]


def components(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """Return the connected component of each of `count` items, named by its smallest member.

    Args:
        count: Number of items.
        links: Pairs of items that belong together.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.array(list(links), dtype=int).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    first: dict[int, int] = {}
    return [first.setdefault(int(label), position) for position, label in enumerate(labels)]


def _codes(known: Sequence[object] | None, count: int) -> np.ndarray:
    """Return numbers that are equal where the known values are equal, and unique where nothing is known."""
    codes = np.arange(count)
    if known is not None:
        first: dict[object, int] = {}
        for position, value in enumerate(known):
            if value is not None and value != "":
                codes[position] = first.setdefault(value, position)
    return codes


def _window(size: int) -> np.ndarray:
    edge = np.hanning(size + 2)[1:-1]
    return np.outer(edge, edge).astype(np.float32)


def _turn(pictures: np.ndarray, turned: int) -> np.ndarray:
    """Return pictures upright (0), mirrored (1), transposed (2) or transposed and mirrored (3)."""
    if turned >= 2:
        pictures = pictures.transpose(0, 2, 1)
    return pictures[:, :, ::-1] if turned % 2 else pictures


def _candidates(pictures: np.ndarray, codes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield blocks of (first, second, turned): pairs that may show the same."""
    count = len(pictures)
    if count <= ALL_PAIRS:
        i, j = np.triu_indices(count, 1)
        new = codes[i] != codes[j]
        for turned in range(4):
            yield i[new], j[new], turned
        return
    for turned, signatures in enumerate(others := _signatures(pictures)):
        least = TURNED_CANDIDATE if turned else CANDIDATE
        for begin in range(0, count, _BLOCK):
            agreement = others[0][begin : begin + _BLOCK] @ signatures[begin:].T
            i, j = np.nonzero(agreement > least)
            i, j = i + begin, j + begin
            new = (i < j) & (codes[i] != codes[j])
            yield i[new], j[new], turned


def _signatures(pictures: np.ndarray) -> list[np.ndarray]:
    """Return unit signatures `(n, frequencies)` of the pictures upright, mirrored, transposed and both."""
    from scipy.fft import rfft2

    y, x = np.mgrid[1 - _HIGH : _HIGH, 0:_HIGH]
    radius = np.hypot(y, x)
    used = (radius >= _LOW) & (radius < _HIGH) & ~((x == 0) & (y <= 0))
    y, x = y[used], x[used]
    rings = radius[used].astype(int)
    places = [(y, x), (-y, x), _half_plane(x, y), _half_plane(x, -y)]
    window = _window(pictures.shape[-1])
    amplitudes: list[list[np.ndarray]] = [[] for _ in places]
    for begin in range(0, len(pictures), _BLOCK):
        block = pictures[begin : begin + _BLOCK].astype(np.float32)
        block -= block.mean(axis=(1, 2), keepdims=True)
        spectrum = np.log1p(np.abs(rfft2(block * window, axes=(1, 2))))
        for kept, (rows, columns) in zip(amplitudes, places, strict=True):
            kept.append(spectrum[:, rows, columns].astype(np.float32))
    signatures = [np.concatenate(kept) for kept in amplitudes]
    for values in signatures:
        for ring in np.unique(rings):
            values[:, rings == ring] -= values[:, rings == ring].mean(axis=1, keepdims=True)
    mean, deviation = signatures[0].mean(axis=0), signatures[0].std(axis=0) + 1e-3
    for values in signatures:
        values -= mean
        values /= deviation
        values /= np.linalg.norm(values, axis=1, keepdims=True) + 1e-6
    return signatures


def _half_plane(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same frequencies with non-negative columns; a real picture's spectrum is symmetric."""
    sign = np.where(columns < 0, -1, 1)
    return rows * sign, columns * sign


class _Correlator:
    """Phase correlation of pairs of pictures."""

    def __init__(self, pictures: np.ndarray, sides: np.ndarray | None) -> None:
        size = pictures.shape[-1]
        self._pictures = _normalised(pictures)
        self._size = size
        self._window = _window(size)
        y = np.fft.fftfreq(size)[:, None] * size
        x = np.fft.rfftfreq(size)[None] * size
        self._radius = np.hypot(y, x).astype(np.float32)
        # All columns but the first stand for two frequencies of the full spectrum.
        self._counts = np.where(np.arange(x.size) == 0, 1, 2)
        finest = np.full(len(pictures), _RESOLVED * size)
        self._finest = finest if sides is None else np.minimum(finest, _RESOLVED * np.asarray(sides))

    def peaks(self, first: np.ndarray, second: np.ndarray, turned: int) -> tuple[np.ndarray, np.ndarray]:
        """Return similarities `(pairs,)`, turned as `turned` says and turned by a further 180 degrees."""
        from scipy.fft import irfft2

        here = self._phases(first, 0)
        there = self._phases(second, turned)
        bands, which = np.unique(self._shared(first, second), return_inverse=True)
        masks = np.stack([self._band(band) for band in bands])
        here *= masks[which]
        scale = np.array([self._size**2 / self._frequencies(band) for band in bands])[which]

        def highest(product: np.ndarray) -> np.ndarray:
            peaks = irfft2(product, s=(self._size, self._size), axes=(1, 2)).max(axis=(1, 2))
            return peaks * scale

        # Conjugating a real picture's spectrum turns the picture by 180 degrees.
        return highest(here * there.conj()), highest(here * there)

    def _phases(self, positions: np.ndarray, turned: int) -> np.ndarray:
        from scipy.fft import rfft2

        distinct, back = np.unique(positions, return_inverse=True)
        pictures = _turn(self._pictures[distinct], turned)
        spectrum = rfft2(pictures * self._window, axes=(1, 2))
        spectrum /= np.abs(spectrum) + 1e-6
        return spectrum[back]

    def least(self, first: np.ndarray, second: np.ndarray, threshold: float) -> np.ndarray:
        """Return the similarity that each pair needs, shape `(pairs,)`."""
        bands, which = np.unique(self._shared(first, second), return_inverse=True)
        full = self._frequencies(_RESOLVED * self._size)
        scarcity = np.array([full / self._frequencies(band) for band in bands])
        return np.minimum(threshold * scarcity**_SCARCITY, _CERTAIN)[which]

    def _shared(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.minimum(self._finest[first], self._finest[second])

    def _frequencies(self, finest: float) -> float:
        return max(1.0, float((self._band(finest) * self._counts).sum()))

    def _band(self, finest: float) -> np.ndarray:
        coarsest = min(_FINE, finest / 3)
        return ((self._radius >= coarsest) & (self._radius < finest)).astype(np.float32)


def _normalised(pictures: np.ndarray) -> np.ndarray:
    """Remove brightness and equalise contrast locally, so that one dark blob does not outweigh the texture.

    Returns:
        int8 of the shape of `pictures`: deviations from the local mean, in 1/25 of the local deviation.
    """
    from scipy.ndimage import gaussian_filter

    normalised = np.empty(pictures.shape, np.int8)
    for begin in range(0, len(pictures), _BLOCK):
        values = pictures[begin : begin + _BLOCK].astype(np.float32)
        values -= gaussian_filter(values, (0, 2, 2))
        values /= np.sqrt(gaussian_filter(values * values, (0, 4, 4)) + 4.0)
        normalised[begin : begin + _BLOCK] = np.clip(np.rint(values * 25.0), -127, 127)
    return normalised
