//! Writes the test vectors: `cargo run -p usher-license --example vectors -- tests/vectors`.

use std::{error::Error, fs, path::PathBuf};

#[path = "../tests/it/generate/mod.rs"]
mod generate;

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("which folder?")?.into();
    for (name, contents) in generate::files()? {
        fs::write(folder.join(name), contents)?;
    }
    Ok(())
}
