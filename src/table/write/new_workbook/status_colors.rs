//! The colors of the statuses.

use crate::domain::outcome::Status;

/// The color behind a status, as red, green and blue. People tell all of them apart, also those who
/// lack one kind of cone, and black text is readable on each.
#[must_use]
pub(super) fn status_color(status: Status) -> u32 {
    match status {
        Status::Found => 0x00D0_FAF3,
        Status::NotFound => 0x00F4_EE87,
        Status::BadNumber => 0x00FD_BB05,
        Status::Invalid => 0x00F0_5936,
        Status::OutOfScope => 0x00D3_5FAC,
        Status::Failed => 0x001B_D0FF,
        Status::Pending => 0x0099_AA8A,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What people see who lack the cones for red, green or blue: the matrices of Machado et al.,
    /// "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), for linear
    /// light.
    const VISIONS: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ];
    /// A difference of 2.3 in CIELAB is just noticeable side by side.
    const LEAST_DIFFERENCE: f64 = 25.0;
    /// WCAG asks for 4.5 between text and background.
    const LEAST_CONTRAST: f64 = 5.5;

    fn linear_light(color: u32) -> [f64; 3] {
        [16, 8, 0].map(|shift| {
            let value = f64::from((color >> shift) & 0xFF) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn apply(matrix: [[f64; 3]; 3], light: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(light).map(|(factor, value)| factor * value).sum())
    }

    fn lab(light: [f64; 3]) -> [f64; 3] {
        let to_xyz = [
            [0.412_456_4, 0.357_576_1, 0.180_437_5],
            [0.212_672_9, 0.715_152_2, 0.072_175_0],
            [0.019_333_9, 0.119_192_0, 0.950_304_1],
        ];
        let [x, y, z] = apply(to_xyz, light.map(|value| value.clamp(0.0, 1.0)));
        let root = |value: f64| {
            if value > 216.0 / 24_389.0 {
                value.cbrt()
            } else {
                (24_389.0 / 27.0 * value + 16.0) / 116.0
            }
        };
        let [x, y, z] = [root(x / 0.950_47), root(y), root(z / 1.088_83)];
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn everybody_tells_the_statuses_apart() {
        for vision in VISIONS {
            let seen =
                Status::ALL.map(|status| lab(apply(vision, linear_light(status_color(status)))));
            for (index, one) in seen.iter().enumerate() {
                for (other, status) in seen[..index].iter().zip(Status::ALL) {
                    let squares = one.iter().zip(other).map(|(one, other)| (one - other).powi(2));
                    let difference = squares.sum::<f64>().sqrt();
                    let pair = (Status::ALL[index], status);
                    assert!(difference > LEAST_DIFFERENCE, "{pair:?}: {difference}");
                }
            }
        }
    }

    #[test]
    fn black_text_is_readable_on_every_color() {
        for status in Status::ALL {
            let [red, green, blue] = linear_light(status_color(status));
            let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
            assert!((luminance + 0.05) / 0.05 > LEAST_CONTRAST, "{status}");
        }
    }
}
