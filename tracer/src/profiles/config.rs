//! The configuration that changes verdicts: from the text of a `.config`, or what the BTF shows of it.

use crate::verifier::Config;
use crate::verifier::btf::{Btf, Kind};

/// Off by default in distributions until lately; without it few functions can be hooked by sleepable programs.
const ERROR_INJECTION: &str = "CONFIG_FUNCTION_ERROR_INJECTION";

/// Defined in lib/error-inject.c, which is compiled with that option alone (all versions from 4.16 on).
const ERROR_INJECTION_FUNCTION: &str = "within_error_injection_list";

/// The configuration of a kernel with this text, if it is known, and this BTF.
pub(super) fn of(text: Option<&str>, btf: &Btf) -> Config {
    let error_injection = match text {
        Some(text) => enabled(text, ERROR_INJECTION),
        None => btf.find(Kind::Func, ERROR_INJECTION_FUNCTION).is_some(),
    };
    Config { error_injection: Some(error_injection), ..Config::default() }
}

/// Whether `OPTION=y`. An option that a kernel was built without is missing, or a comment.
fn enabled(text: &str, option: &str) -> bool {
    text.lines().any(|line| line.strip_prefix(option) == Some("=y"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::btf::TypeId;
    use crate::verifier::btf::builder::BtfBuilder;

    fn btf(function: &str) -> Btf {
        let mut builder = BtfBuilder::new();
        builder.record(function, Kind::Func, 0, 0, TypeId::VOID.0, &[]);
        Btf::parse(builder.build()).expect("BTF")
    }

    #[test]
    fn the_text_decides_where_there_is_one() {
        for (text, expected) in [
            ("CONFIG_A=y\nCONFIG_FUNCTION_ERROR_INJECTION=y\n", true),
            ("# CONFIG_FUNCTION_ERROR_INJECTION is not set\n", false),
            ("CONFIG_HAVE_FUNCTION_ERROR_INJECTION=y\n", false),
            ("", false),
        ] {
            let config = of(Some(text), &btf(ERROR_INJECTION_FUNCTION));
            assert_eq!(config.error_injection, Some(expected), "{text:?}");
        }
    }

    #[test]
    fn the_btf_decides_otherwise() {
        assert_eq!(of(None, &btf(ERROR_INJECTION_FUNCTION)).error_injection, Some(true));
        assert_eq!(of(None, &btf("other")).error_injection, Some(false));
    }
}
