//! Several transforms, one after the other.

use ocelli_core::random::Stream;
use ocelli_core::{Image, Transform};

/// Transforms in the order in which they are applied; itself a transform. An empty one changes nothing.
#[derive(Default)]
pub struct Pipeline {
    steps: Vec<Box<dyn Transform>>,
}

impl Pipeline {
    /// No transform yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a transform.
    #[must_use]
    pub fn then(mut self, step: impl Transform + 'static) -> Self {
        self.steps.push(Box::new(step));
        self
    }

    /// Number of transforms.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no transform.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl From<Vec<Box<dyn Transform>>> for Pipeline {
    fn from(steps: Vec<Box<dyn Transform>>) -> Self {
        Self { steps }
    }
}

impl Transform for Pipeline {
    fn apply(&self, image: Image, random: &mut Stream) -> Image {
        self.steps.iter().fold(image, |image, step| step.apply(image, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{picture, stream};
    use crate::{CenterCrop, HorizontalFlip, VerticalFlip};

    #[test]
    fn steps_are_applied_in_order() {
        let pipeline =
            Pipeline::new().then(HorizontalFlip { p: 1.0 }).then(CenterCrop { size: [1, 2] });
        let flipped = HorizontalFlip { p: 1.0 }.apply(picture(7, 4), &mut stream(0));
        let expected = CenterCrop { size: [1, 2] }.apply(flipped, &mut stream(0));
        assert_eq!(pipeline.apply(picture(7, 4), &mut stream(0)), expected);
        let other_way =
            Pipeline::new().then(CenterCrop { size: [1, 2] }).then(HorizontalFlip { p: 1.0 });
        assert_ne!(other_way.apply(picture(7, 4), &mut stream(0)), expected);
    }

    /// Two flips of one image must not always agree: each step draws anew.
    #[test]
    fn steps_draw_one_after_the_other() {
        let pipeline =
            Pipeline::new().then(HorizontalFlip::default()).then(VerticalFlip::default());
        let image = picture(5, 3);
        let mut results = Vec::new();
        for i in 0..40 {
            let out = pipeline.apply(image.clone(), &mut stream(i));
            if !results.contains(&out) {
                results.push(out);
            }
        }
        assert_eq!(results.len(), 4);
        assert_eq!(Pipeline::new().apply(image.clone(), &mut stream(0)), image);
    }
}
