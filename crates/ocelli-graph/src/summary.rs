//! A network as a table: output shape, parameters and multiply-adds per layer.

use std::fmt;

use serde::Serialize;

use crate::{Graph, Op};

/// One node's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The layer's path.
    pub name: String,
    /// The operation's name.
    pub op: &'static str,
    /// Output shape behind the batch axis.
    pub shape: Vec<usize>,
    /// Learned parameters.
    pub parameters: u64,
    /// Multiply-adds per image of convolutions and linear layers; zero for all else, as fvcore counts
    /// them.
    pub macs: u64,
}

/// All nodes with their totals. Its `Display` is the table that `ocelli models NAME --summary` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The architecture's name.
    pub name: String,
    /// Input shape, `[C, H, W]`.
    pub input: Vec<usize>,
    /// One row per node, in the order they run.
    pub rows: Vec<Row>,
    /// Learned parameters in all.
    pub parameters: u64,
    /// Multiply-adds per image in all.
    pub macs: u64,
}

impl Summary {
    pub(crate) fn of(graph: &Graph) -> Self {
        let rows: Vec<Row> = graph
            .nodes()
            .iter()
            .map(|node| Row {
                name: node.name.clone(),
                op: node.op.name(),
                shape: graph.shape(node.output).to_vec(),
                parameters: node.op.parameters().iter().map(|name| elements(graph, name)).sum(),
                macs: macs(graph, &node.op, graph.shape(node.output)),
            })
            .collect();
        Self {
            name: graph.name().to_string(),
            input: graph.shape(graph.input()).to_vec(),
            parameters: rows.iter().map(|row| row.parameters).sum(),
            macs: rows.iter().map(|row| row.macs).sum(),
            rows,
        }
    }
}

fn elements(graph: &Graph, weight: &str) -> u64 {
    graph.weight_shape(weight).unwrap_or(&[0]).iter().map(|&n| n as u64).product()
}

/// Each output pixel and channel of a convolution takes one multiply-add per element of its filter.
fn macs(graph: &Graph, op: &Op, output: &[usize]) -> u64 {
    match op {
        Op::Conv { weight, .. } => elements(graph, weight) * (output[1] * output[2]) as u64,
        Op::Linear { weight, .. } => elements(graph, weight),
        _ => 0,
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "{:width$}  {:17}  {:>16}  {:>12}  {:>14}",
            "layer", "operation", "output", "parameters", "MACs"
        )?;
        for row in &self.rows {
            let shape = row.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
            writeln!(
                f,
                "{:width$}  {:17}  {shape:>16}  {:>12}  {:>14}",
                row.name,
                row.op,
                grouped(row.parameters),
                grouped(row.macs)
            )?;
        }
        let input = self.input.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        write!(
            f,
            "{}: input {input}, {} parameters, {} multiply-adds ({:.2} G)",
            self.name,
            grouped(self.parameters),
            grouped(self.macs),
            self.macs as f64 / 1e9
        )
    }
}

/// 1234567 as `1,234,567`; nothing for zero, so that the table shows where the work is.
fn grouped(number: u64) -> String {
    if number == 0 {
        return "-".to_string();
    }
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "-");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_814_073_344), "1,814,073,344");
    }
}
