//! The order of the classes of a row: by falling score, equal scores by rising index.

/// How many classes rank before `class`; `None` when a score is NaN or there is no such class.
pub fn rank(scores: &[f32], class: usize) -> Option<usize> {
    let own = *scores.get(class)?;
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let before = |&(i, &score): &(usize, &f32)| score > own || (score == own && i < class);
    Some(scores.iter().enumerate().filter(before).count())
}

/// The class of rank 0; `None` when a score is NaN or there are no classes.
pub fn argmax(scores: &[f32]) -> Option<usize> {
    let mut best = 0;
    for (i, &score) in scores.iter().enumerate() {
        if score.is_nan() {
            return None;
        }
        if score > scores[best] {
            best = i;
        }
    }
    (!scores.is_empty()).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_rank_by_index() {
        let scores = [1.0, 3.0, 3.0, -f32::INFINITY];
        let ranks: Vec<_> = (0..5).map(|class| rank(&scores, class)).collect();
        assert_eq!(ranks, [Some(2), Some(0), Some(1), Some(3), None]);
        assert_eq!(argmax(&scores), Some(1));
    }

    #[test]
    fn nan_has_no_order() {
        assert_eq!(rank(&[1.0, f32::NAN], 0), None);
        assert_eq!(argmax(&[1.0, f32::NAN]), None);
        assert_eq!(argmax(&[]), None);
    }
}
