//! From a map tile to pixels of the Mandelbrot set: no I/O, no shared state.

use crate::image::{Gradient, Palette};

/// Width and height of a tile in pixels.
pub(crate) const SIZE: usize = 256;
/// Beyond this zoom neighbouring pixels are too close for `f64` to tell apart.
pub(crate) const MAX_ZOOM: u8 = 40;

/// The map is a square of the complex plane, wide enough that a window can be
/// filled without ever showing its border.
const WORLD_LEFT: f64 = -4.75;
const WORLD_TOP: f64 = 4.0;
const WORLD_SIDE: f64 = 8.0;

/// Far larger than the 2 needed to decide an escape, because the smooth count
/// becomes exact only for large values.
const BAILOUT: f64 = 256.0;

/// How much two neighbouring pixels may differ, in linear light, before they
/// are worth more samples.
const CONTRAST: f32 = 0.02;

/// One square of the map: at zoom `z` there are `2^z` by `2^z` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    z: u8,
    x: u64,
    y: u64,
}

impl Tile {
    /// The tile in column `x` and row `y`, if the map has one there.
    pub(crate) fn new(z: u8, x: u64, y: u64) -> Result<Self, String> {
        if z > MAX_ZOOM {
            return Err(format!("zoom {z} is too deep: 0 to {MAX_ZOOM}"));
        }
        let last = (1 << z) - 1;
        if x > last || y > last {
            return Err(format!("no tile {x}/{y} at zoom {z}: columns and rows are 0 to {last}"));
        }
        Ok(Self { z, x, y })
    }

    /// Renders the tile as rows of RGB bytes.
    pub(crate) fn render(self, iterations: u32, palette: &Palette) -> Vec<u8> {
        let gradient = palette.gradient();
        let colour = |column: f64, row: f64| gradient.colour(escape(self.point(column, row), iterations));

        let mut centres = Vec::with_capacity(SIZE * SIZE);
        for row in 0..SIZE {
            for column in 0..SIZE {
                centres.push(colour(centre(column), centre(row)));
            }
        }

        let mut rgb = Vec::with_capacity(SIZE * SIZE * 3);
        for row in 0..SIZE {
            for column in 0..SIZE {
                let pixel = if is_edge(&centres, column, row) {
                    supersample(&colour, centre(column), centre(row))
                } else {
                    centres[row * SIZE + column]
                };
                rgb.extend(Gradient::to_bytes(pixel));
            }
        }
        rgb
    }

    #[expect(clippy::cast_precision_loss, reason = "columns and rows stay below 2^40, which f64 holds exactly")]
    fn point(self, column: f64, row: f64) -> (f64, f64) {
        let side = WORLD_SIDE / (1_u64 << self.z) as f64;
        let pixel = side / SIZE as f64;
        (WORLD_LEFT + self.x as f64 * side + column * pixel, WORLD_TOP - self.y as f64 * side - row * pixel)
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 256")]
fn centre(index: usize) -> f64 {
    index as f64 + 0.5
}

fn supersample(colour: &impl Fn(f64, f64) -> [f32; 3], column: f64, row: f64) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for (right, down) in [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)] {
        let sample = colour(column + right, row + down);
        for (total, channel) in sum.iter_mut().zip(sample) {
            *total += channel / 4.0;
        }
    }
    sum
}

fn is_edge(colours: &[[f32; 3]], column: usize, row: usize) -> bool {
    let here = colours[row * SIZE + column];
    let differs = |column: usize, row: usize| {
        let there = colours[row * SIZE + column];
        here.iter().zip(there).any(|(a, b)| (a - b).abs() > CONTRAST)
    };
    (column > 0 && differs(column - 1, row))
        || (column + 1 < SIZE && differs(column + 1, row))
        || (row > 0 && differs(column, row - 1))
        || (row + 1 < SIZE && differs(column, row + 1))
}

/// The smooth number of steps after which the point leaves, `None` if it does
/// not within `limit`.
fn escape((re, im): (f64, f64), limit: u32) -> Option<f64> {
    if in_main_bulbs(re, im) {
        return None;
    }
    let (mut x, mut y) = (0.0_f64, 0.0_f64);
    let (mut x2, mut y2) = (0.0_f64, 0.0_f64);
    for step in 0..limit {
        y = 2.0 * x * y + im;
        x = x2 - y2 + re;
        x2 = x * x;
        y2 = y * y;
        let norm = x2 + y2;
        if norm > BAILOUT * BAILOUT {
            // The point may overshoot the bailout by up to a squaring; taking
            // the double logarithm off hides the steps between the bands.
            let overshoot = (norm.log2() / (BAILOUT * BAILOUT).log2()).log2();
            return Some((f64::from(step) + 1.0 - overshoot).max(0.0));
        }
    }
    None
}

/// The two largest parts of the inside have a closed form, which spares the
/// first zoom levels most of their work. Deeper copies of the set do not.
fn in_main_bulbs(re: f64, im: f64) -> bool {
    let im2 = im * im;
    let left = re - 0.25;
    let q = left * left + im2;
    q * (q + left) <= 0.25 * im2 || (re + 1.0) * (re + 1.0) + im2 <= 0.0625
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;

    #[test]
    fn tiles_outside_the_map_are_refused() {
        assert!(Tile::new(0, 0, 0).is_ok());
        assert!(Tile::new(0, 1, 0).is_err());
        assert!(Tile::new(3, 0, 8).is_err());
        assert!(Tile::new(MAX_ZOOM, (1 << MAX_ZOOM) - 1, 0).is_ok());
        assert!(Tile::new(MAX_ZOOM + 1, 0, 0).is_err());
    }

    #[test]
    fn known_points() {
        for inside in [(0.0, 0.0), (-1.0, 0.0), (-2.0, 0.0), (0.0, 1.0)] {
            assert_eq!(escape(inside, 500), None, "{inside:?}");
        }
        for outside in [(0.26, 0.0), (1.0, 1.0), (-4.0, 3.0)] {
            assert!(escape(outside, 500).is_some(), "{outside:?}");
        }
    }

    #[test]
    fn closed_form_agrees_with_iteration() {
        for step in 0..400_i32 {
            let re = f64::from(step).mul_add(0.01, -2.5);
            if in_main_bulbs(re, 0.1) {
                let (mut x, mut y) = (0.0, 0.0);
                for _ in 0..1000 {
                    (x, y) = (x * x - y * y + re, 2.0 * x * y + 0.1);
                }
                assert!(x.hypot(y) <= 2.0, "{re}");
            }
        }
    }

    #[test]
    fn smooth_count_has_no_steps() {
        let count = |re| escape((re, 0.0), 500).expect("right of the set");
        for step in 0..1000_i32 {
            let re = f64::from(step).mul_add(0.001, 0.5);
            assert!((count(re) - count(re + 0.001)).abs() < 0.1, "{re}");
        }
    }

    #[test]
    fn neighbours_meet_at_the_deepest_zoom() {
        let tile = Tile::new(MAX_ZOOM, 600_000_000_000, 500_000_000_000).expect("on the map");
        let next = Tile::new(MAX_ZOOM, 600_000_000_001, 500_000_000_000).expect("on the map");
        assert_eq!(tile.point(256.0, 0.0), next.point(0.0, 0.0));
        assert!(tile.point(0.5, 0.0).0 < tile.point(0.75, 0.0).0);
    }

    #[test]
    fn mirror_image_about_the_real_axis() {
        let palette = image::palette("dusk").expect("exists");
        let upper = Tile::new(2, 1, 1).expect("on the map").render(60, palette);
        let lower = Tile::new(2, 1, 2).expect("on the map").render(60, palette);
        let mirrored: Vec<u8> = lower.chunks(SIZE * 3).rev().flatten().copied().collect();
        assert!(upper == mirrored);
    }
}
