//! Every command with its arguments, from the program's own help.

use clap::{Arg, ArgAction, Command};

use super::{Page, code, described, line, table};

pub fn page() -> Page {
    let mut program = dovetail::cli::command();
    program.build();
    let mut text = String::from("`dovetail COMMAND --help` says the same in the terminal.\n\n");
    let commands: Vec<&Command> = shown(&program).collect();
    let rows = commands.iter().map(|command| {
        let name = command.get_name();
        vec![format!("[`{name}`](#dovetail-{name})"), about(command)]
    });
    table(&mut text, &["Command", "What it does"], &rows.collect::<Vec<_>>());
    let global = program.get_arguments().filter(|argument| argument.is_global_set()).map(row).collect::<Vec<_>>();
    line(&mut text, "For every command:\n");
    table(&mut text, &["Argument", "What it is"], &global);
    for command in commands {
        section(&mut text, command, "dovetail", 2);
    }
    line(&mut text, "## Exit codes and voices\n");
    line(
        &mut text,
        &format!("```text\n{}\n```", program.get_after_help().expect("the exit codes").to_string().trim_end()),
    );
    Page {
        name: "commands",
        title: "Commands",
        about: "the program `dovetail`: every command and flag, exit codes",
        text,
    }
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| one.get_name() != "help" && !one.is_hide_set())
}

fn about(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string);
    described(command.get_name(), about.as_deref()).to_owned()
}

fn section(text: &mut String, command: &Command, before: &str, level: usize) {
    let name = format!("{before} {}", command.get_name());
    line(text, &format!("{} `{name}`\n\n{}\n", "#".repeat(level), about(command)));
    let own = |argument: &&Arg| {
        !argument.is_global_set()
            && !argument.is_hide_set()
            && !["help", "version"].contains(&argument.get_id().as_str())
    };
    let rows: Vec<Vec<String>> = command.get_arguments().filter(own).map(row).collect();
    if !rows.is_empty() {
        table(text, &["Argument", "What it is"], &rows);
    }
    for inner in shown(command) {
        section(text, inner, &name, level + 1);
    }
}

fn row(argument: &Arg) -> Vec<String> {
    let id = argument.get_id().as_str();
    let value = || {
        let names = argument.get_value_names().unwrap_or_default();
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let takes_value = !matches!(argument.get_action(), ArgAction::SetTrue | ArgAction::Count);
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let name = match argument.get_long() {
        Some(long) if takes_value => format!("{short}--{long} {}", value()),
        Some(long) => format!("{short}--{long}"),
        None if argument.is_required_set() => value(),
        None => format!("[{}]", value()),
    };
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
    let mut what = described(id, help.as_deref()).to_owned();
    if !what.ends_with(['.', '?', '!']) {
        what.push('.');
    }
    let words: Vec<String> = argument.get_possible_values().iter().map(|value| code(value.get_name())).collect();
    if takes_value && !words.is_empty() {
        what.push_str(&format!(" One of {}.", words.join(", ")));
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| code(&value.to_string_lossy())).collect();
    if takes_value && !defaults.is_empty() {
        what.push_str(&format!(" Default: {}.", defaults.join(", ")));
    }
    if let Some(variable) = argument.get_env() {
        what.push_str(&format!(" Also from {}.", code(&variable.to_string_lossy())));
    }
    vec![code(&name), what]
}
