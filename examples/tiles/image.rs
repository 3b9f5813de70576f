//! Colours, and pixels to PNG.

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};

use crate::mandelbrot::SIZE;

/// Colours along the way out of the set, which repeat, and one for the inside.
#[derive(Debug)]
pub(crate) struct Palette {
    pub(crate) name: &'static str,
    inside: [u8; 3],
    /// Each with its position from 0 to 1, in order, the first at 0.
    stops: &'static [(f64, [u8; 3])],
}

pub(crate) const PALETTES: [Palette; 4] = [
    Palette {
        name: "dusk",
        inside: [4, 5, 14],
        stops: &[
            (0.0, [10, 14, 46]),
            (0.18, [32, 84, 164]),
            (0.42, [232, 246, 250]),
            (0.62, [250, 172, 48]),
            (0.82, [94, 24, 40]),
        ],
    },
    Palette {
        name: "ember",
        inside: [8, 3, 4],
        stops: &[
            (0.0, [22, 6, 10]),
            (0.25, [128, 20, 22]),
            (0.48, [240, 104, 26]),
            (0.64, [255, 232, 172]),
            (0.84, [74, 26, 58]),
        ],
    },
    Palette {
        name: "lagoon",
        inside: [2, 10, 14],
        stops: &[
            (0.0, [4, 28, 40]),
            (0.25, [8, 106, 112]),
            (0.46, [126, 220, 184]),
            (0.62, [248, 250, 224]),
            (0.82, [38, 64, 116]),
        ],
    },
    Palette {
        name: "paper",
        inside: [24, 22, 26],
        stops: &[(0.0, [244, 239, 228]), (0.35, [206, 196, 180]), (0.6, [112, 100, 98]), (0.78, [236, 228, 212])],
    },
];

/// The palette called `name`.
pub(crate) fn palette(name: &str) -> Option<&'static Palette> {
    PALETTES.iter().find(|palette| palette.name == name)
}

impl Palette {
    /// Spreads the stops out into a table, in linear light, so that averaging
    /// samples does not darken thin bright lines.
    pub(crate) fn gradient(&self) -> Gradient {
        let mut table = Vec::with_capacity(GRADIENT_STEPS);
        for step in 0..GRADIENT_STEPS {
            let position = fraction(step);
            let next = self.stops.iter().position(|stop| stop.0 > position);
            let (from, to, end) = match next {
                Some(next) => (self.stops[next - 1], self.stops[next], self.stops[next].0),
                None => (self.stops[self.stops.len() - 1], self.stops[0], 1.0),
            };
            let share = (position - from.0) / (end - from.0);
            let eased = share * share * (3.0 - 2.0 * share);
            table.push(mix(linear(from.1), linear(to.1), eased));
        }
        Gradient { table, inside: linear(self.inside) }
    }
}

const GRADIENT_STEPS: usize = 2048;

/// A palette made ready for look-ups.
#[derive(Debug)]
pub(crate) struct Gradient {
    table: Vec<[f32; 3]>,
    inside: [f32; 3],
}

impl Gradient {
    /// The colour of a point which left after `steps`, in linear light.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the product lies between 0 and 2048"
    )]
    pub(crate) fn colour(&self, steps: Option<f64>) -> [f32; 3] {
        let Some(steps) = steps else {
            return self.inside;
        };
        // Bands grow denser towards the set; the root evens their width out. The
        // constant puts the first, dark colours where the map is empty.
        let turns = steps.sqrt().mul_add(0.1, 0.86).fract();
        let index = (turns * GRADIENT_STEPS as f64) as usize;
        self.table[index.min(GRADIENT_STEPS - 1)]
    }

    /// From linear light to what a PNG holds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    pub(crate) fn to_bytes(colour: [f32; 3]) -> [u8; 3] {
        colour.map(|channel| (channel.sqrt() * 255.0).round().clamp(0.0, 255.0) as u8)
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 2048")]
fn fraction(step: usize) -> f64 {
    step as f64 / GRADIENT_STEPS as f64
}

/// A gamma of 2 is near enough to that of sRGB.
fn linear(colour: [u8; 3]) -> [f32; 3] {
    colour.map(|channel| (f32::from(channel) / 255.0).powi(2))
}

#[expect(clippy::cast_possible_truncation, reason = "colours need no more")]
fn mix(from: [f32; 3], to: [f32; 3], share: f64) -> [f32; 3] {
    let share = share as f32;
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

/// Encodes a tile's rows of RGB bytes.
pub(crate) fn encode(rgb: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let side = u32::try_from(SIZE).expect("a tile is small");
    let mut png = Vec::new();
    let mut encoder = Encoder::new(&mut png, side, side);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    encoder.set_filter(Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_pixels_come_back() {
        let rgb: Vec<u8> = (0..=255).cycle().take(SIZE * SIZE * 3).collect();
        let png = encode(&rgb).expect("a whole picture");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut decoded = vec![0; rgb.len()];
        let frame = reader.next_frame(&mut decoded).expect("a frame");
        assert_eq!((frame.width, frame.height), (256, 256));
        assert!(decoded == rgb);
    }

    #[test]
    fn gradients_hold_their_stops_and_close() {
        for palette in &PALETTES {
            let gradient = palette.gradient();
            assert_eq!(Gradient::to_bytes(gradient.table[0]), palette.stops[0].1);
            let last = gradient.table[GRADIENT_STEPS - 1];
            let step = last[0] - gradient.table[0][0];
            assert!(step.abs() < 0.01, "{} jumps", palette.name);
        }
    }
}
