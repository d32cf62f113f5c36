//! An inspection as a page of text.

use std::fmt::{Display, Formatter, Result};

use super::{InspectedPart, Inspection, Place, Spread};

/// How many files or groups of files are listed before the rest is counted.
const LISTED: usize = 20;

impl Display for Inspection {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.table(f)?;
        self.parts.iter().try_for_each(|part| about(f, part))?;
        let unreadable: Vec<_> = self.parts.iter().flat_map(|part| &part.unreadable).collect();
        if !unreadable.is_empty() {
            writeln!(f, "\nunreadable: {}", unreadable.len())?;
            list(f, &unreadable, |f, image| writeln!(f, "  {}", image.message))?;
        }
        if !self.duplicates.is_empty() {
            let (parts, classes) = (self.across_parts().count(), self.across_classes().count());
            let groups = self.duplicates.len();
            writeln!(
                f,
                "\nduplicates: {groups} groups of equal images, {parts} across parts, {classes} across classes"
            )?;
            list(f, &self.duplicates, |f, group| {
                group.iter().try_for_each(|place| line(f, group, place))
            })?;
        }
        Ok(())
    }
}

impl Inspection {
    /// Images per class and part.
    fn table(&self, f: &mut Formatter<'_>) -> Result {
        let width = self.classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
        let row = |f: &mut Formatter<'_>, name: &str, cells: Vec<String>| {
            write!(f, "{name:width$}")?;
            cells.iter().try_for_each(|cell| write!(f, "  {cell:>10}"))?;
            writeln!(f)
        };
        row(f, "class", self.parts.iter().map(|part| part.name.clone()).collect())?;
        for (class, name) in self.classes.iter().enumerate() {
            let counts =
                self.parts.iter().map(|part| part.per_class.get(class).copied().unwrap_or(0));
            row(f, name, counts.map(|count| count.to_string()).collect())?;
        }
        row(f, "all", self.parts.iter().map(|part| part.images.to_string()).collect())
    }
}

fn about(f: &mut Formatter<'_>, part: &InspectedPart) -> Result {
    let formats: Vec<_> =
        part.formats.iter().map(|(name, count)| format!("{count} {name}")).collect();
    write!(f, "\n{}: {}", part.name, formats.join(", "))?;
    if let (Some(width), Some(height)) = (part.width, part.height) {
        let range = |spread: Spread| format!("{} / {} / {}", spread.min, spread.median, spread.max);
        write!(f, "; width {}, height {} (min / median / max)", range(width), range(height))?;
    }
    writeln!(f, "; the largest class has {:.1} times the images of the smallest", part.imbalance)
}

/// The first of a group stands at the margin.
fn line(f: &mut Formatter<'_>, group: &[Place], place: &Place) -> Result {
    let indent = if std::ptr::eq(place, &group[0]) { "  " } else { "    = " };
    writeln!(f, "{indent}{} ({}, {})", place.sample, place.part, place.class)
}

fn list<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    mut show: impl FnMut(&mut Formatter<'_>, &T) -> Result,
) -> Result {
    items.iter().take(LISTED).try_for_each(|item| show(f, item))?;
    if items.len() > LISTED { writeln!(f, "  and {} more", items.len() - LISTED) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use crate::inspect;
    use crate::testing::Numbers;

    #[test]
    fn the_page_has_counts_sizes_and_faults() {
        let mut numbers = Numbers::new(30, 2);
        numbers.bad = (0..25).collect();
        let page = inspect(&numbers, 1).to_string();
        let expected = "\
class           all
class_0          15
class_1          15
all              30

all: 5 memory; width 4 / 4 / 4, height 3 / 3 / 3 (min / median / max); \
the largest class has 1.0 times the images of the smallest

unreadable: 25
  sample 0 is bad
";
        assert!(page.starts_with(expected), "{page}");
        assert!(page.ends_with("  sample 19 is bad\n  and 5 more\n"), "{page}");
    }
}
