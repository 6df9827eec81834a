"""The six metrics of mask pairs, compiled (numba), one thread, exact; `metrics` defines them.

A mask is packed into 64-bit words, one bit a pixel, inside a margin of zeros: `REACH` rows
above and below, one word left and right, so that neither a pixel's neighbours nor the window
around it ever need a bounds check, and the image's edge counts as border by itself. Distances
are taken at border pixels only. Up to `REACH` px the nearest one of the other border is found
by bit scans of the rows around; the few pixels farther away are settled by two sweeps over the
rows that keep the last border row of every column. Squared distances are integers throughout.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

MAX_SIDE_PX: Final = 8192  # squared distances, also to _NEVER, fit into int32
REACH: Final = 32
_NEAR_SQUARED: Final = REACH * REACH
_UNSETTLED: Final = 2**31 - 1
_NEVER: Final = 4 * MAX_SIDE_PX  # farther than any row

_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(63)

Words = NDArray[np.uint64]  # a packed mask, (H + 2 REACH, ceil(W / 64) + 2)
Points = NDArray[np.int32]  # (row, column) of border pixels in packed coordinates, row by row
Squares = NDArray[np.int32]  # squared distances


def _bit_scan(emit: Callable[[ir.IRBuilder, ir.Value], ir.Value]) -> Any:
    """Make an LLVM instruction a compiled function uint64 -> int64."""

    @intrinsic
    def scan(typing_context: Any, word: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            return emit(builder, args[0])

        return types.int64(types.uint64), generate

    return scan


# Both zero counts give 64 for an empty word.
_set_bits = _bit_scan(lambda builder, word: builder.ctpop(word))
_trailing_zeros = _bit_scan(lambda builder, word: builder.cttz(word, ir.IntType(1)(0)))
_leading_zeros = _bit_scan(lambda builder, word: builder.ctlz(word, ir.IntType(1)(0)))


def _type_pack_64(typing_context: Any, pixels: Any, start: Any, bit: Any) -> Any:
    """``pixels[start : start + 64] & bit != 0`` as one word, the first pixel lowest."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        lanes = ir.VectorType(ir.IntType(8), 64)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), lanes.as_pointer())
        loaded = builder.load(address)
        loaded.align = 1
        undefined = ir.Constant(lanes, ir.Undefined)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)
        mask = builder.insert_element(undefined, args[2], ir.IntType(32)(0))
        mask = builder.shuffle_vector(mask, undefined, everywhere)
        is_set = builder.icmp_unsigned("!=", builder.and_(loaded, mask), lanes([0] * 64))
        return builder.bitcast(is_set, ir.IntType(64))

    return types.uint64(pixels, types.int64, types.uint8), generate


_pack_64: Final[Any] = intrinsic(_type_pack_64)


@njit(nogil=True)
def _pack(mask: NDArray[np.uint8], region: int, words: Words) -> tuple[int, int]:
    """Fill the words; gives the first row with a pixel, and the one after the last."""
    height, width = mask.shape
    pixels = mask.reshape(-1)
    whole = width // 64
    top, bottom = height, 0
    for y in range(height):
        seen = np.uint64(0)
        for w in range(whole):
            word = _pack_64(pixels, y * width + 64 * w, 1 << region)
            words[y + REACH, w + 1] = word
            seen |= word
        if width % 64:
            word = np.uint64(0)
            for x in range(64 * whole, width):
                word |= np.uint64((mask[y, x] >> region) & 1) << np.uint64(x % 64)
            words[y + REACH, whole + 1] = word
            seen |= word
        if seen != 0:
            top, bottom = min(top, y), y + 1
    return top, bottom


@njit(nogil=True)
def _count(prediction: Words, truth: Words) -> tuple[int, int, int]:
    true_positive = false_positive = false_negative = 0
    for y in range(REACH, truth.shape[0] - REACH):
        for w in range(1, truth.shape[1] - 1):
            p, t = prediction[y, w], truth[y, w]
            true_positive += _set_bits(p & t)
            false_positive += _set_bits(p & ~t)
            false_negative += _set_bits(t & ~p)
    return true_positive, false_positive, false_negative


@njit(nogil=True)
def _share(part: int, whole: int, otherwise: float) -> float:
    return part / whole if whole > 0 else otherwise


@njit(nogil=True)
def _overlaps(both: int, extra: int, missing: int) -> tuple[float, float, float, float]:
    union = both + extra + missing
    otherwise = 1.0 if union == 0 else 0.0
    return (
        _share(both, union, otherwise),
        _share(2 * both, union + both, otherwise),
        _share(both, both + extra, otherwise),
        _share(both, both + missing, otherwise),
    )


@njit(nogil=True)
def _border(mask: Words, border: Words) -> Points:
    """Write the mask minus its 4-neighbour erosion, and list its pixels."""
    pixels = 0
    for y in range(REACH, mask.shape[0] - REACH):
        for w in range(1, mask.shape[1] - 1):
            left = mask[y, w] << _ONE | mask[y, w - 1] >> _LAST
            right = mask[y, w] >> _ONE | mask[y, w + 1] << _LAST
            border[y, w] = mask[y, w] & ~(mask[y - 1, w] & mask[y + 1, w] & left & right)
            pixels += _set_bits(border[y, w])
    points = np.empty((pixels, 2), np.int32)
    k = 0
    for y in range(REACH, mask.shape[0] - REACH):
        for w in range(1, mask.shape[1] - 1):
            rest = border[y, w]
            while rest != 0:
                points[k, 0] = y
                points[k, 1] = 64 * w + _trailing_zeros(rest)
                k += 1
                rest &= rest - _ONE
    return points


@njit(nogil=True)
def _gap_in_row(border: Words, y: int, x: int) -> int:
    """Columns from x to the nearest border pixel of row y; exact below REACH, else more."""
    start = np.uint64(x - REACH)  # unsigned: a signed index costs a test for wrap-around
    row, w, shift = np.uint64(y), start >> np.uint64(6), start & _LAST
    window = border[row, w] >> shift | border[row, w + _ONE] << _ONE << (_LAST - shift)
    rightwards = _trailing_zeros(window >> np.uint64(REACH))
    leftwards = _leading_zeros(window << np.uint64(REACH - 1))
    return int(min(leftwards, rightwards))


@njit(nogil=True)
def _settle_near(points: Points, border: Words, squares: Squares) -> bool:
    """Squared distances below REACH²; says whether a point is left `_UNSETTLED`."""
    any_left = False
    for k in range(len(points)):
        y, x = points[k, 0], points[k, 1]
        best, dy = min(_gap_in_row(border, y, x) ** 2, _NEAR_SQUARED), 1
        while dy * dy < best:
            dx = min(_gap_in_row(border, y - dy, x), _gap_in_row(border, y + dy, x))
            best = min(best, dx * dx + dy * dy)
            dy += 1
        settled = best < _NEAR_SQUARED
        squares[k] = best if settled else _UNSETTLED
        any_left |= not settled
    return any_left


@njit(nogil=True)
def _sweep(points: Points, targets: Points, squares: Squares, width: int, step: int) -> None:
    """Shorten far distances to targets at or above the point (step 1), or below (-1)."""
    k = 0 if step > 0 else len(points) - 1
    t = 0 if step > 0 else len(targets) - 1
    last_row = np.full(width, -step * _NEVER, np.int32)
    while 0 <= k < len(points):
        if squares[k] >= _NEAR_SQUARED:
            y, x = points[k, 0], points[k, 1]
            while 0 <= t < len(targets) and (targets[t, 0] - y) * step <= 0:
                last_row[targets[t, 1]] = targets[t, 0]
                t += step
            best = squares[k]
            for column in range(width):
                dy, dx = np.int32(y - last_row[column]), np.int32(x - column)
                best = min(best, np.int32(dy * dy + dx * dx))
            squares[k] = best
        k += step


@njit(nogil=True)
def _squared_distances(points: Points, targets: Points, border: Words, squares: Squares) -> None:
    if _settle_near(points, border, squares):
        width = 64 * border.shape[1]
        for step in (1, -1):
            _sweep(points, targets, squares, width, step)


@njit(nogil=True)
def _order_statistic(squares: Squares, rank: int) -> int:
    """The value at `rank` (from 0) of the sorted squares: bisection, for they are integers."""
    low, high = 0, squares.max()
    while low < high:
        middle = (low + high) // 2
        at_most = 0
        for square in squares:
            at_most += square <= middle
        if at_most > rank:
            high = middle
        else:
            low = middle + 1
    return low


@njit(nogil=True)
def _percentile_95(squares: Squares) -> float:
    position = 0.95 * (len(squares) - 1)
    rank = int(position)
    below = _order_statistic(squares, rank)
    at_most, above = 0, _UNSETTLED
    for square in squares:
        at_most += square <= below
        above = min(above, square if square > below else _UNSETTLED)
    if at_most > rank + 1 or at_most == len(squares):
        above = below
    start, end = np.sqrt(below), np.sqrt(above)
    return float(start + (position - rank) * (end - start))


@njit(nogil=True)
def _mean_distance(squares: Squares) -> float:
    total = 0.0
    for square in squares:
        total += np.sqrt(square)
    return total / len(squares)


@njit(nogil=True)
def _border_distances(prediction: Words, truth: Words) -> tuple[float, float]:
    """HD95 and ASSD of two masks, neither of them empty."""
    borders = np.zeros((2, *truth.shape), np.uint64)
    points = _border(prediction, borders[0])
    targets = _border(truth, borders[1])
    squares = np.empty(len(points) + len(targets), np.int32)
    _squared_distances(points, targets, borders[1], squares[: len(points)])
    _squared_distances(targets, points, borders[0], squares[len(points) :])
    return _percentile_95(squares), _mean_distance(squares)


@njit(cache=True, nogil=True)
def overlaps_from_counts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(M, 3) true positive, false positive, false negative -> (M, 4) overlaps."""
    overlaps = np.empty((len(counts), 4))
    for m in range(len(counts)):
        iou, dice, precision, recall = _overlaps(counts[m, 0], counts[m, 1], counts[m, 2])
        overlaps[m, 0], overlaps[m, 1] = iou, dice
        overlaps[m, 2], overlaps[m, 3] = precision, recall
    return overlaps


@njit(cache=True, nogil=True)
def compare_masks(
    predictions: NDArray[np.uint8], truths: NDArray[np.uint8], regions: int
) -> NDArray[np.float64]:
    """(N, R, 6) metrics of uint8 (N, H, W) masks, bit r being region r.

    The masks are contiguous, with sides from 1 to `MAX_SIDE_PX`.
    """
    frames, height, width = truths.shape
    metrics = np.empty((frames, regions, 6))
    words = np.zeros((2, height + 2 * REACH, (width + 63) // 64 + 2), np.uint64)
    for n in range(frames):
        for r in range(regions):
            top_p, bottom_p = _pack(predictions[n], r, words[0])
            top_t, bottom_t = _pack(truths[n], r, words[1])
            rows = slice(min(top_p, top_t), max(bottom_p, bottom_t) + 2 * REACH)
            prediction, truth = words[0, rows], words[1, rows]
            both, extra, missing = _count(prediction, truth)
            if both + extra > 0 and both + missing > 0:
                hd95, assd = _border_distances(prediction, truth)
            else:
                hd95 = assd = 0.0 if extra + missing == 0 else np.nan
            iou, dice, precision, recall = _overlaps(both, extra, missing)
            metrics[n, r, 0], metrics[n, r, 1] = iou, dice
            metrics[n, r, 2], metrics[n, r, 3] = precision, recall
            metrics[n, r, 4], metrics[n, r, 5] = hd95, assd
    return metrics
