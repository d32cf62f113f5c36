//! The `ocelli` program: parses, prints, handles signals.

mod commands;
mod flags;
mod output;
mod progress;
mod signals;
mod tables;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{bench, dataset, evaluate, finetune, models, predict, weights};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// From a folder of photos to a good image classifier.
#[derive(Parser)]
#[command(name = "ocelli", version, max_term_width = 100)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Finetune(finetune::Finetune),
    Train(finetune::Train),
    Evaluate(evaluate::Evaluate),
    Predict(predict::Predict),
    Models(models::Models),
    Weights(weights::Weights),
    Dataset(dataset::DatasetCommand),
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    match run(Program::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<output::Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            output::warn(format_args!("error: {}", chain(&error)));
            if signals::heard() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

fn run(program: Program) -> anyhow::Result<()> {
    if let Err(other) = ocelli::kernels::isa::from_environment() {
        anyhow::bail!(
            "OCELLI_MAX_ISA is \"{other}\"; it may be portable, avx2, avx512, avx512bf16 or amx"
        );
    }
    match program.command {
        Command::Finetune(command) => command.run(),
        Command::Train(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Predict(command) => command.run(),
        Command::Models(command) => command.run(),
        Command::Weights(command) => command.run(),
        Command::Dataset(command) => command.run(),
        Command::Bench(command) => command.run(),
    }
}

/// An error with its causes; a cause that its effect already quotes is not said twice.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    })
}
