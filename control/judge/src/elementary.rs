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

/// ln(1 + v) of each, in place; each above −1, finite, and not so near to −1 that 1 + v is subnormal.
pub(crate) fn ln_1p_all<const N: usize>(values: &mut [f64; N]) {
    for value in values {
        *value = ln_1p(*value);
    }
}

/// Σ wᵢ·e^(vᵢ − high), where `high` is the highest of them and not −∞.
pub(crate) fn sum_of_exp<const N: usize>(values: &[f64; N], weights: &[f64; N], high: f64) -> f64 {
    let mut parts = [0.0; N];
    for ((part, value), weight) in parts.iter_mut().zip(values).zip(weights) {
        *part = weight * exp(value - high);
    }
    parts.iter().sum()
}

/// ln(eᵛ + e^added) of each, in place; all finite.
pub(crate) fn ln_add_exp_all<const N: usize>(values: &mut [f64; N], added: f64) {
    for value in values {
        let (high, low) = (value.max(added), value.min(added));
        *value = high + ln_1p(exp(low - high));
    }
}

#[inline(always)]
fn ln_1p(x: f64) -> f64 {
    // What 1 + x loses in rounding is added at the end: ln(u + e) = ln u + e/u.
    let u = 1.0 + x;
    let back = u - 1.0;
    let lost = (1.0 - (u - back)) + (x - back);
    let bits = u.to_bits().wrapping_add(ONE - ROOT_HALF);
    let exponent = f64::from_bits(TWO_52 | (bits >> FRACTION_BITS)) - (4_503_599_627_370_496.0 + 1023.0);
    let f = f64::from_bits((bits & FRACTION).wrapping_add(ROOT_HALF)) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even =
        w * (3.999_999_999_940_942e-1 + w * (2.222_219_843_214_978_4e-1 + w * 1.531_383_769_920_937_3e-1));
    let odd = z
        * (6.666_666_666_666_735e-1
            + w * (2.857_142_874_366_239e-1
                + w * (1.818_357_216_161_805e-1 + w * 1.479_819_860_511_658_6e-1)));
    let half = 0.5 * f * f;
    exponent * LN2_HIGH + (f - (half - (s * (half + (even + odd)) + (exponent * LN2_LOW + lost / u))))
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
    let c = r - z
        * (1.666_666_666_666_660_2e-1
            + z * (-2.777_777_777_701_559_3e-3
                + z * (6.613_756_321_437_934e-5
                    + z * (-1.653_390_220_546_525_2e-6 + z * 4.138_136_797_057_238_5e-8))));
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
            for x in [x, -x / (1.0 + x), x * 1.234_567_8] {
                let mut one = [x];
                if 1.0 + x > f64::MIN_POSITIVE {
                    ln_1p_all(&mut one);
                    assert!(close(one[0], x.ln_1p()), "{x}: {} {}", one[0], x.ln_1p());
                }
            }
            x *= 1.07;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn logarithms_agree_to_the_last_bits(values in proptest::array::uniform7(prop_oneof![-0.999_f64..2.0, -1e-6..1e-6, 0.0..1e6, -0.5..-0.2])) {
            let mut ours = values;
            ln_1p_all(&mut ours);
            for (ours, value) in ours.into_iter().zip(values) {
                prop_assert!(close(ours, value.ln_1p()), "{value}: {ours} {}", value.ln_1p());
            }
        }

        #[test]
        fn exponentials_agree_to_the_last_bits(value in prop_oneof![-700.0_f64..700.0, -2.0..2.0, -1e-9..1e-9]) {
            prop_assert!(close(exp(value), value.exp()), "{value}: {} {}", exp(value), value.exp());
        }
    }

    #[test]
    fn what_is_far_below_is_next_to_nothing_and_never_an_error() {
        for value in [-709.0, -1e6, -1e300, f64::NEG_INFINITY] {
            assert!(exp(value) > 0.0 && exp(value) < 1e-307);
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(sum_of_exp(&[f64::NEG_INFINITY, 3.0], &[0.5, 0.5], 3.0), 0.5);
    }
}
