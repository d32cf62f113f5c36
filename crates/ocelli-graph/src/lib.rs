//! A classifier network as plain data.
//!
//! A network is written once, as layers in `ocelli-nn`; recording a forward pass of it gives a
//! [`Graph`]: [`Node`]s in the order they run, each with an [`Op`] and its attributes, the shapes of the
//! values between them, and the named weights they read. Whoever does not train reads the graph
//! instead of the layers. The first reader is [`Summary`]: output shapes, parameters and multiply-adds.
//!
//! Conventions are ONNX's: shapes are `[C, H, W]` behind a batch axis that is never stored (every
//! network takes any batch size), convolution weights are `[O, I / groups, kH, kW]`.
//!
//! ```
//! use ocelli_graph::{Graph, Op, Padding};
//! let mut graph = Graph::new("tiny", [3, 8, 8]);
//! graph.weight("conv.weight", &[4, 3, 3, 3]);
//! let conv = Op::Conv {
//!     weight: "conv.weight".into(),
//!     bias: None,
//!     kernel: [3, 3],
//!     stride: [2, 2],
//!     padding: Padding { top: 1, bottom: 1, left: 1, right: 1 },
//!     dilation: [1, 1],
//!     groups: 1,
//! };
//! let features = graph.push("conv", conv, &[graph.input()])?;
//! graph.set_output(features);
//! assert_eq!(graph.shape(features), [4, 4, 4]);
//! assert_eq!(graph.summary().macs, 4 * 4 * 4 * 27);
//! # Ok::<(), ocelli_graph::GraphError>(())
//! ```

mod graph;
mod op;
mod shape;
mod summary;

pub use graph::{Graph, GraphError, Node, ValueId};
pub use op::{Activation, Op, Padding};
pub use summary::{Row, Summary};
