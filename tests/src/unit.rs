//! Reads the `ExecStart` line of a systemd unit, so that the tests start a server with the flags that `deploy/` ships.
//! Only as much of systemd's grammar as those units use: continued lines, comments between them, `${NAME}`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// The arguments of the unit's `ExecStart`, without the program, each `${NAME}` replaced by its value.
///
/// # Errors
/// There is no `ExecStart`, or a variable in it has no value.
pub fn arguments(unit: &str, values: &BTreeMap<&str, String>) -> Result<Vec<String>> {
    let command = exec_start(unit).context("the unit has no ExecStart line")?;
    command.split_whitespace().skip(1).map(|word| expand(word, values)).collect()
}

fn exec_start(unit: &str) -> Option<String> {
    let mut lines = unit.lines().filter(|l| !l.trim_start().starts_with('#'));
    let mut line = lines.find_map(|l| l.strip_prefix("ExecStart="))?;
    let mut command = String::new();
    while let Some(continued) = line.strip_suffix('\\') {
        command.push_str(continued);
        command.push(' ');
        line = lines.next()?;
    }
    Some(command + line)
}

fn expand(word: &str, values: &BTreeMap<&str, String>) -> Result<String> {
    let (mut done, mut rest) = (String::new(), word);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) =
            after.split_once('}').with_context(|| format!("no closing brace in {word}"))?;
        let Some(value) = values.get(name) else { bail!("${{{name}}} in {word} has no value") };
        done.push_str(before);
        done.push_str(value);
        rest = tail;
    }
    Ok(done + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "[Service]\n# why\nExecStart=/usr/bin/server \\\n  --a=${ONE}/x:${TWO} \\\n# between\n  --b\nRestart=always\n";

    #[test]
    fn the_arguments_are_those_of_exec_start_with_the_values_put_in() {
        let values = BTreeMap::from([("ONE", "1".to_owned()), ("TWO", "2".to_owned())]);
        assert_eq!(arguments(UNIT, &values).unwrap(), ["--a=1/x:2", "--b"]);
    }

    #[test]
    fn a_variable_without_a_value_is_an_error_that_names_it() {
        let error = arguments(UNIT, &BTreeMap::from([("ONE", "1".to_owned())])).unwrap_err();
        assert_eq!(error.to_string(), "${TWO} in --a=${ONE}/x:${TWO} has no value");
    }
}
