//! Labels on steps.
use super::properties::ClusterStep;
/// All labels.
pub const LABELS: &[&str] = &[];
/// Adds the labels of a step.
pub fn label(_step: &ClusterStep<'_>, _labels: &mut Vec<&'static str>) {}
