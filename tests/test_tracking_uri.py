import pytest

from analysis.load import load_study
from tune_knee.cli import parse
from tune_knee.tracking_store import require_reachable
from tune_knee.tracking_uri import require_no_secret

SECRETS = [
    ("http://anna:hunter2@tracking:5000", "MLFLOW_TRACKING_PASSWORD"),
    ("https://hunter2@tracking", "MLFLOW_TRACKING_TOKEN"),
    ("https://anna:hun/ter2#hunter2@tracking", "MLFLOW_TRACKING_PASSWORD"),
    ("postgresql://anna:hunter2@db/mlflow", "PGPASSWORD"),
    ("postgresql+psycopg2://anna:h@hunter2@db/mlflow", "PGPASSWORD"),
    ("postgresql:///mlflow?user=anna&password=hunter2", "PGPASSWORD"),
    ("mysql+pymysql://anna:hunter2@db/mlflow", "use an MLflow server"),
]


@pytest.mark.parametrize(("uri", "mend"), SECRETS)
def test_a_password_is_refused_and_not_repeated(uri, mend, capsys):
    for refuses in (require_no_secret, require_reachable, lambda uri: load_study(uri, "knees")):
        with pytest.raises(ValueError, match=f"must hold no user's name or password.*{mend}") as e:
            refuses(uri)
        assert "hunter2" not in str(e.value)
        assert "anna" not in str(e.value)
    with pytest.raises(SystemExit):
        parse(["--tracking-uri", uri])
    assert mend in (said := capsys.readouterr().err)
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "uri",
    [
        "http://tracking:5000",
        "https://tracking/mlflow",
        "sqlite:////home/a:b@c/mlflow.db",
        "postgresql://anna@db:5432/mlflow",
        "postgresql+psycopg2:///mlflow?host=/run/postgresql",
        "mlruns",
    ],
)
def test_other_addresses_stay_as_they_are(uri):
    assert require_no_secret(uri) == uri
