//! Logarithms and exponentials of whole arrays.
//!
//! A window with a thousand strata asks for a hundred thousand logarithms; a library's, called one at a time, would be
//! most of its cost. These have no branch, so that the compiler does two or more at once with whatever the machine has.
//! Both follow the reductions and the minimax polynomials of fdlibm (Sun Microsystems, 1993), whose error is below one unit
//! in the last place: ln(1 + f) = f − f²/2 + s·(f²/2 + R(s²)) with s = f/(2 + f), and eʳ by the quotient r·c/(2 − c).

/// ln 2 with its last bits cut off, so that a multiple by a whole number is exact; and what was cut.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Adding it to a number below 2⁵¹ rounds that to a whole one, which then stands in the lowest bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// The bits of √½, cut to the upper half: mantissas are brought to [√½, √2).
const ROOT_HALF: u64 = 0x3fe6_a09e_0000_0000;
const ONE: u64 = 0x3ff0_0000_0000_0000;
const FRACTION: u64 = 0x000f_ffff_ffff_ffff;
const FRACTION_BITS: u32 = 52;
/// The bits of 2⁵², whose fraction counts ones.
const TWO_52: u64 = 0x4330_0000_0000_0000;
/// Below this eᵛ is taken for e^LEAST, 3·10⁻³⁰⁸: nothing beside one.
const LEAST: f64 = -708.0;

/// ln v of each, in place; each above zero, finite, and not subnormal.
pub(crate) fn ln_all<const N: usize>(values: &mut [f64; N]) {
    // Two short passes overlap better than one long one.
    let mut reduced = [(0.0, 0.0); N];
    for (reduced, value) in reduced.iter_mut().zip(values.iter_mut()) {
        let (exponent, f) = reduce(*value);
        (*reduced, *value) = ((exponent, f), f / (2.0 + f));
    }
    for ((exponent, f), value) in reduced.into_iter().zip(values) {
        *value = ln_of_reduced(exponent, f, *value);
    }
}

/// ln(eᵛ + e^added) of each, in place; all finite.
pub(crate) fn ln_add_exp_all<const N: usize>(values: &mut [f64; N], added: f64) {
    for value in values {
        let (high, low) = (value.max(added), value.min(added));
        *value = high + ln(1.0 + exp(low - high));
    }
}

/// ln Σ wᵢ·e^vᵢ: a mixture, with positive weights; −∞ for nothing.
pub(crate) fn ln_mix_exp<const N: usize>(values: &[f64; N], weights: &[f64; N]) -> f64 {
    let high = in_lanes(values, f64::NEG_INFINITY, f64::max);
    if high == f64::NEG_INFINITY {
        return high;
    }
    let mut parts = [0.0; N];
    for ((part, value), weight) in parts.iter_mut().zip(values).zip(weights) {
        *part = weight * exp(value - high);
    }
    high + in_lanes(&parts, 0.0, |sum, part| sum + part).ln()
}

/// Folds four lists at once, since each step waits for the one before it.
#[inline(always)]
fn in_lanes<const N: usize>(values: &[f64; N], from: f64, fold: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [from; 4];
    for (at, value) in values.iter().enumerate() {
        lanes[at % 4] = fold(lanes[at % 4], *value);
    }
    fold(fold(lanes[0], lanes[1]), fold(lanes[2], lanes[3]))
}

#[inline(always)]
fn ln(x: f64) -> f64 {
    let (exponent, f) = reduce(x);
    ln_of_reduced(exponent, f, f / (2.0 + f))
}

/// The exponent and the mantissa, less one, of a number as 2ᵏ·(1 + f).
#[inline(always)]
fn reduce(x: f64) -> (f64, f64) {
    let bits = x.to_bits().wrapping_add(ONE - ROOT_HALF);
    let exponent = f64::from_bits(TWO_52 | (bits >> FRACTION_BITS)) - (4_503_599_627_370_496.0 + 1023.0);
    (exponent, f64::from_bits((bits & FRACTION).wrapping_add(ROOT_HALF)) - 1.0)
}

/// ln of 2ᵏ·(1 + f), given s = f/(2 + f).
#[inline(always)]
fn ln_of_reduced(exponent: f64, f: f64, s: f64) -> f64 {
    // The polynomial in two halves and in pairs of terms: what waits for less is done earlier.
    let z = s * s;
    let w = z * z;
    let ww = w * w;
    let even =
        w * ((3.999_999_999_940_942e-1 + w * 2.222_219_843_214_978_4e-1) + ww * 1.531_383_769_920_937_3e-1);
    let odd = z
        * ((6.666_666_666_666_735e-1 + w * 2.857_142_874_366_239e-1)
            + ww * (1.818_357_216_161_805e-1 + w * 1.479_819_860_511_658_6e-1));
    let half = 0.5 * f * f;
    exponent * LN2_HIGH + (f + (s * (half + (even + odd)) + (exponent * LN2_LOW - half)))
}

/// eˣ for any x up to 709; see [`LEAST`].
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.max(LEAST);
    let rounded = x * std::f64::consts::LOG2_E + ROUNDER;
    let k = rounded - ROUNDER;
    let (high, low) = (x - k * LN2_HIGH, k * LN2_LOW);
    let r = high - low;
    let z = r * r;
    let zz = z * z;
    let c = r - z
        * ((1.666_666_666_666_660_2e-1 - z * 2.777_777_777_701_559_3e-3)
            + zz * ((6.613_756_321_437_934e-5 - z * 1.653_390_220_546_525_2e-6)
                + zz * 4.138_136_797_057_238_5e-8));
    let y = 1.0 + (r * c / (2.0 - c) - low + high);
    f64::from_bits(y.to_bits().wrapping_add(rounded.to_bits() << FRACTION_BITS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(ours: f64, theirs: f64) -> bool {
        (ours - theirs).abs() <= 1e-15 * theirs.abs()
    }

    #[test]
    fn logarithms_are_those_of_the_standard_library() {
        let mut x: f64 = 1e-300;
        while x < 1e300 {
            let values = [x, x * 1.234_567_8, 1.0 + x.min(1e-3)];
            let mut ours = values;
            ln_all(&mut ours);
            for (ours, value) in ours.into_iter().zip(values) {
                assert!(close(ours, value.ln()), "{value}: {ours} {}", value.ln());
            }
            x *= 1.07;
        }
        let mut one = [1.0];
        ln_all(&mut one);
        assert_eq!(one, [0.0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn logarithms_agree_to_the_last_bits(values in proptest::array::uniform7(prop_oneof![0.001_f64..2.0, 0.999_999..1.000_001, 1.0..1e6, 0.5..0.8])) {
            let mut ours = values;
            ln_all(&mut ours);
            for (ours, value) in ours.into_iter().zip(values) {
                prop_assert!(close(ours, value.ln()), "{value}: {ours} {}", value.ln());
            }
        }

        #[test]
        fn exponentials_agree_to_the_last_bits(value in prop_oneof![-700.0_f64..700.0, -2.0..2.0, -1e-9..1e-9]) {
            prop_assert!(close(exp(value), value.exp()), "{value}: {} {}", exp(value), value.exp());
        }

        #[test]
        fn sums_agree_with_the_plain_ones(values in proptest::array::uniform10(-50.0_f64..50.0), added in -50.0_f64..50.0) {
            let plain = values.iter().map(|value| 0.1 * value.exp()).sum::<f64>().ln();
            prop_assert!((ln_mix_exp(&values, &[0.1; 10]) - plain).abs() < 1e-13);
            let mut ours = values;
            ln_add_exp_all(&mut ours, added);
            for (ours, value) in ours.into_iter().zip(values) {
                prop_assert!((ours - (value.exp() + added.exp()).ln()).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn what_is_far_below_is_next_to_nothing_and_never_an_error() {
        for value in [-709.0, -1e6, -1e300, f64::NEG_INFINITY] {
            assert!(exp(value) > 0.0 && exp(value) < 1e-307);
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln_mix_exp(&[f64::NEG_INFINITY, 3.0], &[0.5, 0.5]), 3.0 + 0.5_f64.ln());
        assert_eq!(ln_mix_exp(&[f64::NEG_INFINITY; 5], &[0.2; 5]), f64::NEG_INFINITY);
    }
}
