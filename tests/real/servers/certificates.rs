//! The lab's certificates, made for each run. All are self-signed.

use std::fs;
use std::path::Path;

use crate::namespace::{self, SCRATCH};

/// File name, host name, and days of validity from now.
const CERTIFICATES: [(&str, &str, &str); 3] =
    [("lab", "lab.test", "2"), ("expired", "lab.test", "-1"), ("foreign", "another.test", "2")];

/// Writes a key and a certificate into each of `lab.pem`, `expired.pem` and `foreign.pem`.
pub(crate) fn certificates() -> Result<(), String> {
    for (name, whose, days) in CERTIFICATES {
        namespace::run(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={whose} \
             -keyout {SCRATCH}/{name}.key -out {SCRATCH}/{name}.csr"
        ))?;
        namespace::run(&format!(
            "openssl x509 -in {SCRATCH}/{name}.csr -signkey {SCRATCH}/{name}.key -days {days} -out {SCRATCH}/{name}.crt"
        ))?;
        let join = || {
            let read =
                |ending: &str| fs::read_to_string(Path::new(SCRATCH).join(name).with_extension(ending));
            fs::write(Path::new(SCRATCH).join(name).with_extension("pem"), read("key")? + &read("crt")?)
        };
        join().map_err(|error| format!("can't write the certificate `{name}`: {error}"))?;
    }
    Ok(())
}
