//! The program `usher`.

fn main() -> std::process::ExitCode {
    usher::cmd::main()
}
