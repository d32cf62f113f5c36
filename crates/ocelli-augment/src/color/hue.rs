//! Turning the hue, through Pillow's 8-bit HSV.

use ocelli_core::Image;

/// Turns the hue of every pixel by `turn` of the full circle, -0.5 to 0.5. Hue and saturation pass
/// through eight bits each, as in Pillow, so that even a turn of zero changes a few values.
pub(crate) fn hue(image: &mut Image, turn: f64) {
    let shift = (turn * 255.0) as i32 as u8;
    for pixel in image.pixels_mut().as_chunks_mut::<3>().0 {
        let [h, s, v] = to_hsv(*pixel);
        *pixel = to_rgb([h.wrapping_add(shift), s, v]);
    }
}

fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let most = red.max(green).max(blue);
    let least = red.min(green).min(blue);
    if most == least {
        return [0, 0, most];
    }
    let range = f32::from(most - least);
    let [r, g, b] = [red, green, blue].map(|value| f32::from(most - value) / range);
    // Sixths of the circle, counted from red, green or blue.
    let sixths = if red == most {
        b - g
    } else if green == most {
        (2.0 + f64::from(r) - f64::from(b)) as f32
    } else {
        (4.0 + f64::from(g) - f64::from(r)) as f32
    };
    let circle = ((f64::from(sixths) / 6.0 + 1.0) % 1.0) as f32;
    let saturation = range / f32::from(most);
    [(f64::from(circle) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

fn to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let sixths = f64::from(hue) * 6.0 / 255.0;
    let sector = sixths.floor();
    let (within, saturation) =
        (f64::from((sixths - sector) as f32), f64::from((f64::from(saturation) / 255.0) as f32));
    let dimmed = |share: f64| (f64::from(value) * (1.0 - share)).round() as u8;
    let low = dimmed(saturation);
    let falling = dimmed(saturation * within);
    let rising = dimmed(saturation * (1.0 - within));
    match sector as u8 % 6 {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_a_turn_makes_red_green() {
        let mut image = Image::filled(1, 1, [200, 0, 0]);
        hue(&mut image, 1.0 / 3.0);
        assert_eq!(image.pixel(0, 0), [0, 200, 0]);
        let mut gray = Image::filled(1, 1, [90; 3]);
        hue(&mut gray, 0.4);
        assert_eq!(gray.pixel(0, 0), [90; 3]);
    }
}
