//! How many of a data set's rows each split gets.

use std::fmt;
use std::str::FromStr;

use crate::Split;

/// The shares of training, validation and test set in percent; their sum is 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitShares([u8; 3]);

impl Default for SplitShares {
    /// 80, 10, 10.
    fn default() -> Self {
        SplitShares([80, 10, 10])
    }
}

impl SplitShares {
    /// The share of one split in percent.
    pub fn percent(self, split: Split) -> u8 {
        self.0[split.index()]
    }

    /// Rows of each split, of `rows` in all: validation and test rounded to the nearest, with at least one row each
    /// as soon as there are as many rows as splits with a share.
    pub(crate) fn seats(self, rows: usize) -> [usize; 3] {
        let splits = self.0.iter().filter(|&&share| share > 0).count();
        let of = |share: u8| {
            let nearest = (rows * usize::from(share) + 50) / 100;
            nearest.max(usize::from(share > 0 && rows >= splits))
        };
        let [_, validation, test] = self.0.map(of);
        let validation = validation.min(rows);
        let test = test.min(rows - validation);
        [rows - validation - test, validation, test]
    }
}

impl FromStr for SplitShares {
    type Err = String;

    /// `80,10,10`: training, validation and test.
    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || {
            format!(
                "expected training,validation,test in whole percent that add up to 100, such as 90,10,0, found {text:?}"
            )
        };
        let shares: Result<Vec<u8>, _> =
            text.split(',').map(|share| share.trim().parse()).collect();
        let shares: [u8; 3] = shares
            .ok()
            .and_then(|shares| shares.try_into().ok())
            .ok_or_else(fault)?;
        let sum: u32 = shares.iter().copied().map(u32::from).sum();
        match sum == 100 && shares[0] > 0 {
            true => Ok(SplitShares(shares)),
            false if sum == 100 => Err(format!(
                "expected a training set of at least 1 percent, found {text:?}"
            )),
            false => Err(fault()),
        }
    }
}

impl fmt::Display for SplitShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, validation, test] = self.0;
        write!(f, "{train},{validation},{test}")
    }
}

#[cfg(test)]
mod tests {
    use super::SplitShares;

    #[test]
    fn seats_are_eighty_ten_ten() {
        let seats = |rows| SplitShares::default().seats(rows);
        assert_eq!(seats(110), [88, 11, 11]);
        assert_eq!(seats(10), [8, 1, 1]);
        assert_eq!(seats(3), [1, 1, 1]);
        assert_eq!(seats(2), [2, 0, 0]);
        assert_eq!(seats(15), [11, 2, 2]);
    }

    #[test]
    fn a_split_without_a_share_has_no_seats() {
        let seats = |text: &str, rows| text.parse::<SplitShares>().unwrap().seats(rows);
        assert_eq!(seats("90,10,0", 110), [99, 11, 0]);
        assert_eq!(seats("90,10,0", 2), [1, 1, 0]);
        assert_eq!(seats("100,0,0", 7), [7, 0, 0]);
        assert_eq!(seats("1,99,0", 10), [0, 10, 0]);
        for rows in 0..200 {
            for text in ["1,0,99", "5,95,0", "34,33,33", "2,49,49"] {
                assert_eq!(
                    seats(text, rows).iter().sum::<usize>(),
                    rows,
                    "{text}, {rows}"
                );
            }
        }
    }

    #[test]
    fn shares_are_three_whole_numbers_that_add_up() {
        assert_eq!("80, 10,10".parse(), Ok(SplitShares::default()));
        for text in [
            "",
            "80",
            "80,20",
            "80,10,10,0",
            "80,10,11",
            "0.8,0.1,0.1",
            "300,0,56",
        ] {
            let fault = text.parse::<SplitShares>().unwrap_err();
            assert!(fault.contains("add up to 100"), "{fault}");
        }
        let fault = "0,50,50".parse::<SplitShares>().unwrap_err();
        assert!(fault.contains("training set"), "{fault}");
    }
}
