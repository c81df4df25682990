//! `expand`: a document with everything written out that it leaves to us.

use anyhow::Result;

use super::{check, exit, folder, say, shipped};
use crate::project::expand;
use crate::source::nearest;

#[derive(Debug, clap::Args)]
pub struct Expand {
    /// The name of a workflow or a connector.
    name: String,
    /// The project's folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: std::path::PathBuf,
    /// The environment of the project.
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Expand {
    pub fn run(self) -> Result<u8> {
        let loaded = folder::load(&self.project, self.env.as_deref())?;
        let Some(plan) = &loaded.plan else {
            check::tell(&loaded);
            return Ok(exit::FINDINGS);
        };
        // A connector that comes with the program can be looked at, whether the project uses it or not.
        let shipped = || expand::alone(&shipped::connector_file(&self.name)?);
        let Some(value) = expand::expand(&loaded, plan, &self.name).or_else(shipped) else {
            let names = expand::names(plan, shipped::connector_names());
            let help = match nearest(&self.name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            };
            return Err(exit::usage(format!("no active workflow or connector is called `{}`; {help}", self.name)));
        };
        let text = match self.json {
            true => serde_json::to_string_pretty(&value)?,
            false => serde_yaml::to_string(&value)?,
        };
        say::data(text.trim_end());
        Ok(exit::OK)
    }
}
