//! Checks one address in the sample world: `cargo run --no-default-features --example check_one -- jane.doe@acme-tools.example`

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use listproof::{Error, Settings, Verifier};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "jane.doe@acme-tools.example".to_owned());
    let verifier = Verifier::new(Settings::in_world("samples/world.toml")?)?;
    let result = verifier.block_on(verifier.check(&address))?;
    let reason = result.judgment.reason;
    println!("{address}: {} ({reason}), rule {}", reason.verdict().word(), result.judgment.rule);
    if let Some(reply) = result.reply {
        println!("{reply}");
    }
    Ok(())
}
